;; Asks for a table of 100 million entries when it is instantiated.
(component
  (core module $big
    (table 100000000 funcref))
  (core instance (instantiate $big)))
