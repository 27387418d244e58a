package rows

// ColumnType says how a column's values are shown.
type ColumnType string

const (
	ColumnAny      ColumnType = ""
	ColumnString   ColumnType = "string"
	ColumnInt      ColumnType = "int"
	ColumnFloat    ColumnType = "float"
	ColumnBool     ColumnType = "bool"
	ColumnDuration ColumnType = "duration" // emitted in nanoseconds
	ColumnTime     ColumnType = "time"     // emitted as time.Time, or in seconds since 1970
	ColumnBytes    ColumnType = "bytes"    // a number of bytes
	ColumnAddress  ColumnType = "address"
)

var ColumnTypes = []ColumnType{ColumnString, ColumnInt, ColumnFloat, ColumnBool, ColumnDuration, ColumnTime,
	ColumnBytes, ColumnAddress}

// Column is a declared column of the rows.
type Column struct {
	Name  string
	Help  string
	Type  ColumnType
	Align string // "left", "right" or "" (by type)
	Width int    // at most; 0: no limit
	// Cut is "left" for names of functions and files, whose ends tell more: where there is no room, the paths of packages
	// go first.
	Cut      string
	Whole    bool // never cut: it is there to be typed
	AsIs     bool // its header is its name, as it is
	Optional bool // not in tables in which no row has it
	Hidden   bool // in JSON only
	Key      Key  // it tells one row from another, and which are about the same thing in two looks
	Change   bool // it may be changed: the instrument gives its place
	Line     int
}

// Key says whether a column is of what names a row.
type Key int

const (
	NoKey    Key = iota
	KeyPart      // the columns of this kind name a row together
	KeyAlone     // this one names it by itself, in rows that have it
)

// CutPaths, in Column.Cut, is for types and variables: all lose the paths of their packages if the table doesn't fit,
// then their beginnings.
const CutPaths = "paths"
