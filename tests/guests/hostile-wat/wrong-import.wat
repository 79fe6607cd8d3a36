;; Imports what no host of this contract offers.
(component
  (import "example:other/shell@1.0.0" (instance (export "run" (func (param "command" string))))))
