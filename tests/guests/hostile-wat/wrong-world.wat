;; A component of somebody else's world: it exports an interface that the contract does not have.
(component
  (core module $answer
    (func (export "answer") (result i32) i32.const 42))
  (core instance $instance (instantiate $answer))
  (func $answer (result u32) (canon lift (core func $instance "answer")))
  (instance $thing (export "answer" (func $answer)))
  (export "example:other/thing@1.0.0" (instance $thing)))
