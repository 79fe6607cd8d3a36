// A vendor for tests: its functions do what a test asks for.
(() => {
  'use strict';
  const widget = {
    save: (saved) => saved(null, { id: 7, deep: { word: window.vendor.word } }),
    refuse: (saved) => saved(new Error('the vendor is closed')),
    never: () => new Promise(() => {}),
    circle: () => {
      const round = {};
      round.round = round;
      return round;
    },
  };
  window.vendor = {
    given: null,
    word: 'none',
    yes: () => true,
    no: () => false,
    never: () => new Promise(() => {}),
    fail: () => {
      throw new Error('no license');
    },
    start(...values) {
      window.vendor.given = values;
      return widget;
    },
    tell: (place, detail) => place.dispatchEvent(new CustomEvent('vendor:word', { detail })),
    html: (ready) => {
      ready('<img src="/x.png" id="injected">');
      return widget;
    },
    Widget: class {
      constructor(place) {
        this.place = place;
      }

      async save() {
        return { place: this.place.id, made: this instanceof window.vendor.Widget };
      }
    },
  };
})();
