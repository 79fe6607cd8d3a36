;; Starts a thread of the component model.
(component
  (core type $function (func (param i32)))
  (core module $table (table (export "table") 1 1 funcref))
  (core instance $instance (instantiate $table))
  (alias core export $instance "table" (core table $functions))
  (core func $index (canon thread.index)))
