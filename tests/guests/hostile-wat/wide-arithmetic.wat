;; Multiplies to 128 bits.
(component
  (core module $wide
    (func $start (i64.mul_wide_u (i64.const -1) (i64.const -1)) drop drop)
    (start $start))
  (core instance (instantiate $wide)))
