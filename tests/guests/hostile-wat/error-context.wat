;; Makes a context of an error.
(component
  (type $context error-context)
  (import "given" (func (param "context" $context))))
