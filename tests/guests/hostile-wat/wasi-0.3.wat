;; Imports WASI 0.3.
(component
  (import "wasi:clocks/system-clock@0.3.0" (instance))
  (instance $nothing)
  (export "cartwright:plugin/metadata@0.1.0" (instance $nothing))
  (export "cartwright:plugin/settings@0.1.0" (instance $nothing))
  (export "cartwright:plugin/orders@0.1.0" (instance $nothing)))
