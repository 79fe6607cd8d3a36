;; Throws an exception and catches it.
(component
  (core module $thrower
    (tag $thrown (param i32))
    (func $start
      (drop (block $caught (result i32)
        (try_table (catch $thrown $caught) (throw $thrown (i32.const 1)))
        (i32.const 0))))
    (start $start))
  (core instance (instantiate $thrower)))
