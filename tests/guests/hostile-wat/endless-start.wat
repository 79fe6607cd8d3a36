;; Loops when it is instantiated, before anything is called.
(component
  (core module $endless
    (func $start (loop $again br $again))
    (start $start))
  (core instance (instantiate $endless)))
