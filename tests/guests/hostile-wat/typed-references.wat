;; Calls through a typed reference to a function.
(component
  (core module $references
    (type $function (func))
    (elem declare func $called)
    (func $called)
    (func $start (call_ref $function (ref.func $called)))
    (start $start))
  (core instance (instantiate $references)))
