;; Copies between two memories of one module, past the end of one.
(component
  (core module $two
    (memory $one 1)
    (memory $two 1)
    (func $start (memory.copy $one $two (i32.const 65530) (i32.const 0) (i32.const 100)))
    (start $start))
  (core instance (instantiate $two)))
