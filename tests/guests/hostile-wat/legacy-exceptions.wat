;; Throws an exception as the proposal was before.
(component
  (core module $thrower
    (tag $thrown)
    (func $start
      try
        throw $thrown
      catch_all
      end)
    (start $start))
  (core instance (instantiate $thrower)))
