// Package recipes is the catalogue: named instruments with presets, a mode, a view and limits.
//
// A recipe (recipes.yaml, and the catalogues of users and vendors) binds a name to an instrument. Everything that can
// be checked of both is checked when they are read: the entry, the header, the script ([Lint]). [Lacks] says what a
// program lacks for an instrument to fit it. docs/recipes.md is made here.
//
// What may not come in: looking at a target; of a program only its symbols are asked.
package recipes
