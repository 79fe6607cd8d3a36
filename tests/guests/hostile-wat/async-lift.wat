;; Exports a function that answers later.
(component
  (core module $later
    (func (export "run") (result i32) i32.const 0)
    (func (export "callback") (param i32 i32 i32) (result i32) i32.const 0))
  (core instance $instance (instantiate $later))
  (func $run async (canon lift (core func $instance "run") async (callback (core func $instance "callback"))))
  (export "run" (func $run)))
