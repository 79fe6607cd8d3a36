;; Keeps a number as a reference, in a global and in a table.
(component
  (core module $gc
    (global $number (mut i31ref) (ref.i31 (i32.const 7)))
    (table $numbers 1 i31ref (ref.i31 (i32.const 8)))
    (func $start
      (global.set $number (table.get $numbers (i32.const 0)))
      (drop (i31.get_s (global.get $number))))
    (start $start))
  (core instance (instantiate $gc)))
