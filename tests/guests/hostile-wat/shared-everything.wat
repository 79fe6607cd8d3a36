;; A function and a global that threads would share.
(component
  (core module $threads
    (type $function (shared (func)))
    (global (shared mut i32) (i32.const 1))
    (func $start (type $function))
    (start $start))
  (core instance (instantiate $threads)))
