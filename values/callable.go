package values

// Callable is code that nobody runs now, and that somebody may call.
type Callable struct {
	Closures []CallableFunc
	Methods  []CallableMethod
	Leading  func(addr uint64) (*Leading, error)
}

// CallableFunc is a func value that something alive leads to: a function literal, method value or function.
type CallableFunc struct {
	Entry   uint64   // link-time
	Objects []uint64 // its objects in the heap, which have what it captured
	More    bool     // there are more
}

// CallableMethod is a method that interface values have.
type CallableMethod struct {
	Entry    uint64   // link-time
	Receiver uint32   // for Leading.Type
	Objects  []uint64 // receivers of which the type isn't known
	More     bool     // there are more
}

// Leading is what leads to an object.
type Leading struct {
	Variables  [][2]uint64 // link-time ranges
	Goroutines map[int64]bool
	Object     func(addr uint64) bool // whether an object does
	Type       func(id uint32) bool   // whether any of a type does
	All        bool                   // more may lead there than can be told
	Objects    int                    // how many do
}
