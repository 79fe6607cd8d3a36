;; Holds references of the host in a table and a global, and grows the table.
(component
  (core module $references
    (table $all 4 externref)
    (global $one (mut externref) (ref.null extern))
    (func $start
      (table.set $all (i32.const 0) (global.get $one))
      (drop (table.grow $all (ref.null extern) (i32.const 8)))
      (global.set $one (table.get $all (i32.const 0))))
    (start $start))
  (core instance (instantiate $references)))
