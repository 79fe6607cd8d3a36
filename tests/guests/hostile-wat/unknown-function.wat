;; Imports a function that this version of the contract does not have.
(component
  (import "cartwright:plugin/http@0.1.0" (instance (export "send-all" (func))))
  (instance $nothing)
  (export "cartwright:plugin/metadata@0.1.0" (instance $nothing))
  (export "cartwright:plugin/settings@0.1.0" (instance $nothing))
  (export "cartwright:plugin/orders@0.1.0" (instance $nothing)))
