;; Suspends itself.
(component
  (core module $switching
    (type $function (func))
    (type $continuation (cont $function))
    (tag $pause)
    (elem declare func $other)
    (func $other (suspend $pause))
    (func $start (resume $continuation (cont.new $continuation (ref.func $other))))
    (start $start))
  (core instance (instantiate $switching)))
