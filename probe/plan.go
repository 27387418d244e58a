package probe

// Base is where a path starts.
type Base struct {
	Kind BaseKind
	N    int    // of Register: its DWARF number; of Item: the index of a Read of the same list that stands before
	Off  int64  // of Item: where in the item's bytes the word stands; of Nth: where the first lies, from CFA on
	Word uint64 // of Constant; of Nth: bytes of each
	Elem *Elem  // of Element
}

// BaseKind is what a path starts from.
type BaseKind uint8

const (
	Constant BaseKind = iota // a run-time address known beforehand, a package variable's; or a number
	Register                 // the word in a general register at the site
	CFA                      // the end of the frame: arguments on the stack, spilled variables
	Item                     // eight bytes that another Read of this hit has captured
	// At a return, what was at the entry of the call: registers there hold something else by then.
	EntryRegister // as Register
	EntryItem     // as Item, of the Reads of At
	// Nth is the address of one of several that lie side by side in the frame: register N says which.
	Nth
	// Element is the address of a map's element. A map that is nil, or has no such key, is NilOnTheWay; one that has more
	// groups than are searched, and none of these has the key, is Unreadable.
	Element
)

// Elem is an element of a Swiss map (internal/runtime/maps of Go 1.24 to 1.27) by its key: of the header, a table and
// a group it says where the words lie that lead to it. Where there are several tables the map is too large.
type Elem struct {
	Map  Word   // the address of its header
	Key  []byte // at most MaxMapKey
	Text bool   // keys are strings, else they are of as many bytes as Key has

	Directory, Tables int64 // in the header: the address of the group, or of the tables' addresses; how many of these
	Groups, Mask      int64 // in a table: the address of its groups; how many there are, less one
	Group, Control    int64 // the size of a group; where in it the control bytes are
	Keys, Elems       Slots
}

// Slots are the places of a group's keys or elements: the first, and how far it is from one to the next.
type Slots struct{ First, Stride int64 }

// GroupSlots is how many a group has.
const GroupSlots = 8

// Path leads to an address: it starts with a word, and each step adds an offset and loads the eight bytes there. The
// address is what the last load gave, plus Last. A word on the way that is 0, the base's or one that was loaded, is
// [NilOnTheWay], whatever would be added; a load that fails is [Unreadable].
type Path struct {
	Base  Base
	Steps []int64
	Last  int64
}

// Word is a number: of Size 1, 2, 4 or 8 bytes, sign-extended if Signed. It lies at a path's address or, InPlace, it is
// the base word itself (an argument in a register; of its low Size bytes, as Go leaves the others undefined).
type Word struct {
	Path    Path
	InPlace bool
	Shift   uint8 // InPlace: which bit the number begins at
	Size    uint8
	Signed  bool
}

// Read is a range of bytes that a hit takes along. Its Size bytes are reserved in every event, in the order of the
// list, so where each lies is known beforehand. The list is breadth first: what doesn't fit into the budget of an event
// is not in the list, and who made the list says so where it is missed.
type Read struct {
	At   Path
	Size uint32
	// Count, if not nil, says how many elements of Each bytes there are: what is read is the smaller of both. Where more
	// was there than was read, the event has Truncated. A negative count is none. Of none, nothing is read, and it is
	// Captured wherever the path leads.
	Count *Word
	Each  uint32
	When  []Compare // all must hold, or it isn't read: Unwanted
}

// Op compares.
type Op uint8

const (
	Equal Op = iota
	NotEqual
	Less
	LessEqual
	Greater
	GreaterEqual
)

// Condition is decided in the kernel, with three outcomes: true, false, and not decided (a nil on the way, memory that
// can't be read), as in Kleene's logic: not decided and false is false.
type Condition interface{ condition() }

// And, Or and Not combine conditions. An empty And is true.
type (
	And []Condition
	Or  []Condition
	Not struct{ Of Condition }
)

// Compare compares a number with a constant, or with another number. Both sides are of Left's size and sign. Float
// compares numbers of 4 or 8 bytes as IEEE 754 does; vector registers can't be read, so both lie in memory.
type Compare struct {
	Left  Word
	Op    Op
	Right uint64
	With  *Word // instead of Right
	Float bool
}

// TextOp is how a text is compared.
type TextOp uint8

const (
	Is TextOp = iota
	HasPrefix
	HasSuffix
	Contains
)

// Text compares the bytes of a string or a []byte with a literal. Contains looks at the first Within bytes only, and is
// not decided where the text is longer and they don't have it.
type Text struct {
	Data    Word // the address of the first byte
	Len     Word
	Op      TextOp
	Literal []byte
	Within  uint32 // at most MaxWithin
}

// Since is the time since the entry, in nanoseconds: at a Return only.
type Since struct {
	Op    Op
	Right uint64
}

func (And) condition()     {}
func (Or) condition()      {}
func (Not) condition()     {}
func (Compare) condition() {}
func (Text) condition()    {}
func (Since) condition()   {}

// Limits of what one program does, which the kernel's verifier and its 512 bytes of stack set.
const (
	MaxWithin  = 256      // bytes of a text that Contains searches
	MaxLiteral = 128      // bytes of a Text's literal
	MaxEvent   = 16 << 10 // bytes of all reads of one hit
	MaxReads   = 512
	MaxKeyText = 128 // bytes of all texts of a key together
	MaxMapKey  = 64  // bytes of a map's key
	MaxGroups  = 8   // of a map that are searched for a key: 64 places
)

// Plan is what is done at a site.
type Plan struct {
	When  Condition // nil: always
	Reads []Read
}

// Probe is a function, or a line, with all its sites. With Returns a call is one hit, at its return: the entry decides
// At.When and captures At.Reads, which are kept until the return; that decides Back.When and captures Back.Reads, both
// of which see the entry by EntryRegister and EntryItem.
type Probe struct {
	Name    string
	Sites   []Site
	At      Plan
	Returns []Site
	Back    Plan
	// Count: events aren't made, hits are only counted; By, where given, by these keys (at the entry). Histogram: by
	// the power of two of the time since the entry, besides.
	Count     bool
	By        []Key
	Histogram bool
	// Flow: its hits open flows, or belong to them. Returns aren't paired with entries then.
	Flow Flow
}

// Paired tells whether an entry waits for its return.
func (p *Probe) Paired() bool { return len(p.Returns) > 0 && p.Flow == NoFlow }

// Key is what hits are counted by: a number or, with Len, a text. Of a text Word is the address of the first byte. What
// is compared of it is its length and its first Bytes bytes, a multiple of 8. It isn't there where not all of When
// hold.
type Key struct {
	Word  Word
	Len   *Word
	Bytes int
	When  []Compare
}
