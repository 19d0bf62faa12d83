//! The code editor's module alone, without the page around it.
