;; Shares a memory between threads and waits in it.
(component
  (core module $threads
    (memory 1 1 shared)
    (func $start
      (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
    (start $start))
  (core instance (instantiate $threads)))
