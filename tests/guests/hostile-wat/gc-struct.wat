;; Makes a struct on a heap that a host would have to collect.
(component
  (core module $gc
    (type $point (struct (field (mut i32)) (field (mut i32))))
    (func $start (drop (struct.get $point 0 (struct.new $point (i32.const 1) (i32.const 2)))))
    (start $start))
  (core instance (instantiate $gc)))
