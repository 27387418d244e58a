// Package instruments is what to ask: the Lua host and its bindings to values,
// the catalogue of recipes, and the results, written once and printed as a table, JSON or NDJSON.
//
// An instrument is one Lua file with a header that declares what it is; a recipe (recipes.yaml) binds a name to
// it with presets, a mode, a view and limits. Everything that can be checked is checked before the target is touched.
//
// What may not come in: addresses that no value gave, ptrace, layouts.
package instruments
