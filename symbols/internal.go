package symbols

import "io"

type typeInternal struct{}

type File struct{}

func Open(r io.ReaderAt, name string) (*File, error)   { panic("todo") } // ErrNotGo; a file with ErrNoDWARF still opens: see HasDWARF
func (f *File) HasDWARF() bool                         { panic("todo") }
func (f *File) Entry() uint64                          { panic("todo") } // ELF entry point, link-time
func (f *File) GoVersion() string                      { panic("todo") } // "go1.26.8"
func (f *File) BuildSettings() [][2]string             { panic("todo") }
func (f *File) MainModule() (path, version string)     { panic("todo") }
func (f *File) Modules() [][3]string                   { panic("todo") } // path, version, replaced by
func (f *File) BuildID() string                        { panic("todo") }
func (f *File) Var(name string) (Var, error)           { panic("todo") } // full or short name; ErrNotFound, ErrAmbiguous
func (f *File) Vars() []string                         { panic("todo") } // full names, sorted
func (f *File) Packages() []string                     { panic("todo") }
func (f *File) Type(name string) (*Type, error)        { panic("todo") } // full or short, composed too
func (f *File) TypeNames() []string                    { panic("todo") } // full names, sorted
func (f *File) Func(name string) (Line, uint64, error) { panic("todo") } // entry pc
func (t *Type) Elem() *Type                            { panic("todo") } // pointer, slice, array, chan, map (its value); else nil
func (t *Type) Key() *Type                             { panic("todo") } // map
func (t *Type) Len() int64                             { panic("todo") } // array
func (t *Type) Fields() []Field                        { panic("todo") } // struct
func (t *Type) FieldByName(name string) (Path, error)  { panic("todo") } // promoted too; ErrNotFound naming near ones, ErrAmbiguous
func (t *Type) Constant(v int64) (string, bool)        { panic("todo") } // name of the constant with value v declared with this type: "main.StateOnline"
func (t *Type) Constants() []string                    { panic("todo") }
func (t *Type) ShortName() string                      { panic("todo") } // package paths cut to their last element
