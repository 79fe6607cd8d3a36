;; A memory whose pages are one byte long.
(component
  (core module $small
    (memory 8 (pagesize 1))
    (func $start (i32.store8 (i32.const 8) (i32.const 1)))
    (start $start))
  (core instance (instantiate $small)))
