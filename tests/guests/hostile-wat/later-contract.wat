;; Exports an interface of a version of the contract that does not exist.
(component
  (instance $plugin)
  (export "cartwright:plugin/metadata@9.0.0" (instance $plugin)))
