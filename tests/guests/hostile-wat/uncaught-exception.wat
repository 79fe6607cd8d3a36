;; Throws an exception that nobody catches.
(component
  (core module $thrower
    (tag $thrown)
    (func $start (throw $thrown))
    (start $start))
  (core instance (instantiate $thrower)))
