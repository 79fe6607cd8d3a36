;; Adds atomically, in a memory of its own.
(component
  (core module $threads
    (memory 1)
    (func $start
      (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
      (drop (memory.atomic.wait32 (i32.const 0) (i32.const 1) (i64.const -1))))
    (start $start))
  (core instance (instantiate $threads)))
