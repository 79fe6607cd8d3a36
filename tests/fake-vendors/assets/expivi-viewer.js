// A fake's stand-in for Expivi's viewer script. It draws nothing and defines nothing yet; it is here so that a page's
// script element finds an answer.
