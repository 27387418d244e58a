// Package walk goes through large structures without a call of anything else for each element: arrays, slices, maps,
// channels, lists.
//
// A [Walk] is declared: where it begins, how it goes on, what an element is, which conditions an element must meet.
// Parts of elements are compiled to offsets once ([Path]). Count, Sum, Group and Top are the reductions that scripts
// ask for.
//
// What may not come in: Lua, rows. Nothing in values knows of this room.
package walk
