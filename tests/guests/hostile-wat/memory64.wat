;; A memory with addresses of 64 bits, and as large as they reach.
(component
  (core module $wide
    (memory i64 1 281474976710656)
    (func $start
      (drop (memory.grow (i64.const 4294967296)))
      (i64.store (i64.const 0x7fffffffffffffff) (i64.const 1)))
    (start $start))
  (core instance (instantiate $wide)))
