// Package style is how pages of ri look, and what all of them have: a sheet, figures and tables that sort and filter. A
// page is one text that holds all it needs, with scripts and sheets of ours inside.
package style

import _ "embed"

// Sheet is the style sheet.
//
//go:embed page.css
var Sheet string

// Tables is the script that makes nodes, figures and tables; it is put before a page's own.
//
//go:embed table.js
var Tables string
