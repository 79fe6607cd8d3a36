;; A core module. A plugin is a component.
(module
  (memory (export "memory") 1)
  (func (export "plan")))
