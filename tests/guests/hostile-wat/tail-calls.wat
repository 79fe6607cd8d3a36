;; Calls itself for ever without a stack that grows.
(component
  (core module $endless
    (func $start (return_call $start))
    (start $start))
  (core instance (instantiate $endless)))
