;; Imports a function and an interface of a later version of the contract.
(component
  (import "cartwright:plugin/http@0.1.3" (instance (export "send-all" (func))))
  (import "cartwright:plugin/quoting@0.1.2" (instance (export "ask" (func))))
  (instance $nothing)
  (export "cartwright:plugin/metadata@0.1.0" (instance $nothing))
  (export "cartwright:plugin/settings@0.1.0" (instance $nothing))
  (export "cartwright:plugin/orders@0.1.0" (instance $nothing)))
