;; A table with indices of 64 bits.
(component
  (core module $wide
    (table i64 1 0xffffffffffffffff funcref)
    (func $start (drop (table.grow (ref.null func) (i64.const 0x100000000))))
    (start $start))
  (core instance (instantiate $wide)))
