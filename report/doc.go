// Package report is a field visit on paper: every reading recipe that fits a target, each caught and timed by itself.
// It is a folder of JSON and text, and one HTML page that needs no network.
//
// The way of the data: [looks.Session.Every] gives attempts. Each is written to the folder at once and reduced to a
// section of the page. When all are there the page is filled into its template, and the folder, or the single file,
// gets its name. Until then it has another one, so that nothing half done lies there under the name that was asked for.
//
// All text of the target reaches the page as JSON in a script element that html/template escapes, and from there as
// text nodes: never as HTML.
//
// What may not come in: reading memory, Lua, knowledge of a single program. Of recipes it knows only the columns that
// it draws (see drawings.go).
package report
