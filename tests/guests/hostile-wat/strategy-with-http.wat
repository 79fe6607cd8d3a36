;; Exports only what a cart strategy does, and imports what no strategy needs.
(component
  (import "cartwright:plugin/log@0.1.0" (instance))
  (import "cartwright:plugin/http@0.1.0" (instance))
  (import "cartwright:plugin/secrets@0.1.0" (instance))
  (instance $nothing)
  (export "cartwright:plugin/metadata@0.1.0" (instance $nothing))
  (export "cartwright:plugin/settings@0.1.0" (instance $nothing))
  (export "cartwright:plugin/cart@0.1.0" (instance $nothing)))
