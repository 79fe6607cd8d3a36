// A vendor's script in the UMD form: what it makes is at `window` only where no module loader is seen.
((root, factory) => {
  if (typeof define === 'function' && define.amd) define([], factory);
  else if (typeof exports === 'object' && typeof module !== 'undefined') module.exports = factory();
  else root.vendor = factory();
})(window, () => ({
  yes: () => true,
  start: () => ({ save: (saved) => saved(null, { list: ['a', [1, 2]], deep: { word: ['b'] } }) }),
}));
