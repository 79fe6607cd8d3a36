;; Types of a group that refer to each other and have subtypes.
(component
  (core module $gc
    (rec
      (type $node (sub (struct (field (ref null $leaf)))))
      (type $leaf (sub $node (struct (field (ref null $leaf)) (field i64)))))
    (func $start (local $node (ref null $node))
      (local.set $node (ref.null $leaf))
      (drop (ref.test (ref $leaf) (local.get $node))))
    (start $start))
  (core instance (instantiate $gc)))
