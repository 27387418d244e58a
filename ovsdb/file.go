package ovsdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// File is a standalone database's file, with its contents in memory.
type File struct {
	*Database
	Path string
	// Damage says from where on the file can't be read, nil if it can. What was before is in the database. The next
	// Append cuts the rest off.
	Damage *CorruptError
	Cut    int64  // bytes that were cut off when it was opened for writing
	Aside  string // the file in which they are kept, if there were whole records among them

	version string // of the schema that the file has
	own     bool   // its schema is the one that it has

	file *os.File // nil: for reading
	lock *lock
	size int64
	// unsynced: something was written, and not waited for.
	unsynced bool
	base     int64 // what the size was without the transactions since the last compaction
}

// Bounds of automatic compaction: a file that is larger than the first, and that many times as large as what is in it.
const (
	compactFrom   = 4 << 20
	compactFactor = 4
	lockInterval  = 20 * time.Millisecond
)

// Read reads a database file without a lock, as ovsdb-tool does; somebody may be appending to it. A file that isn't
// there is an empty database. The schema must be of the same name and major version as the file's; nil means the
// file's own, and then the file must be there.
func Read(path string, schema *Schema) (*File, error) {
	f := newFile(path, schema)
	for try := 0; ; try++ {
		data, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) && schema != nil {
			return f, nil
		}
		if err != nil {
			return nil, err
		}
		if err := f.load(data); err != nil {
			return nil, err
		}
		if f.Damage == nil || try == 5 {
			return f, nil
		}
		time.Sleep(lockInterval) // what looks damaged may be a record that is being written
	}
}

// Open opens a database file for writing and holds its lock until Close. It makes the file if there is none. patience
// is how long to wait for the lock; then the error is ErrLocked. A damaged tail is cut off, and kept aside if there are
// records in it. A damaged schema record is an error (ErrCorrupt). Without a schema (nil) the file keeps its own, and
// must be there.
func Open(path string, schema *Schema, patience time.Duration) (*File, error) {
	// The lock is beside what the name leads to (lockfile.c, lockfile_name).
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if _, err := Read(path, schema); err != nil { // what isn't such a database gets no lock file beside it
		return nil, err
	}
	l, err := takeLock(path, patience)
	if err != nil {
		return nil, err
	}
	dropCut(path)
	f := newFile(path, schema)
	f.lock = l
	if err := f.open(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func newFile(path string, schema *Schema) *File {
	f := &File{Path: path, own: schema == nil}
	if schema != nil {
		f.Database = NewDatabase(schema)
	}
	return f
}

// regular refuses what is no ordinary file: a device or a pipe may have no end, or never begin.
func regular(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() {
		return err
	}
	what := "a device"
	switch {
	case info.IsDir():
		what = "a folder"
	case info.Mode()&fs.ModeNamedPipe != 0:
		what = "a pipe"
	case info.Mode()&fs.ModeSocket != 0:
		what = "a socket"
	}
	return fmt.Errorf("%s is %s, and no regular file", path, what)
}

func readFile(path string) ([]byte, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func (f *File) open() (err error) {
	if f.file, err = os.OpenFile(f.Path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	data, err := io.ReadAll(f.file)
	if err != nil {
		return err
	}
	if len(data) == 0 && !f.own {
		if err := f.write(appendRecord(nil, f.Schema.compact())); err != nil {
			return err
		}
		return syncFolder(f.Path)
	}
	if err := f.load(data); err != nil {
		return err
	}
	f.size, f.unsynced = int64(len(data)), true // who wrote it may not have waited
	if f.Damage != nil {
		if err := f.keepAside(data[f.Damage.Offset:]); err != nil {
			return err
		}
		if err := f.file.Truncate(f.Damage.Offset); err != nil {
			return fmt.Errorf("cutting off the damaged end of %s: %w", f.Path, err)
		}
		f.Cut, f.size = f.size-f.Damage.Offset, f.Damage.Offset
		if err := f.file.Sync(); err != nil {
			return err
		}
	}
	if f.version != f.Schema.Version {
		_, _, err = f.Compact(fmt.Sprintf("schema version %s, was %s", f.Schema.Version, f.version))
	}
	return err
}

// keepAside writes what is to be cut off into a file of its own, if there is more than the rest of one record. Damage
// in the middle must not cost what comes after.
func (f *File) keepAside(rest []byte) error {
	if !bytes.Contains(rest[1:], []byte("\n"+magic)) {
		return nil
	}
	aside, err := os.CreateTemp(filepath.Dir(f.Path), filepath.Base(f.Path)+".damaged-")
	if err == nil {
		_, err = aside.Write(rest)
		err = errors.Join(err, aside.Sync(), aside.Close())
	}
	if err != nil {
		return fmt.Errorf("%s is damaged (%v), and what comes after could not be kept aside, so it was left as it "+
			"is: %w", f.Path, f.Damage, err)
	}
	f.Aside = aside.Name()
	return syncFolder(f.Path)
}

// load reads all records.
func (f *File) load(data []byte) error {
	f.Damage = nil
	if len(data) == 0 && !f.own {
		f.Database = NewDatabase(f.Schema)
		return nil
	}
	if bytes.HasPrefix(data, []byte("OVSDB CLUSTER")) {
		return fmt.Errorf("%s is a clustered database, and this one stands alone: %w", f.Path, ErrSchema)
	}
	text, at, err := nextRecord(data, 0)
	if err == nil && text == nil {
		err = &CorruptError{0, 0, "an empty file"}
	}
	if err != nil {
		return fmt.Errorf("%s: its first record, the schema, can't be read, so nothing in it can be trusted; it was "+
			"left as it is: %w", f.Path, err)
	}
	has, err := ParseSchema(text)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", f.Path, err, ErrCorrupt)
	}
	switch {
	case f.own:
		f.Database = NewDatabase(has)
	default:
		f.Database = NewDatabase(f.Schema)
		if err := f.fits(has); err != nil {
			return err
		}
	}
	f.version, f.base = has.Version, 0
	for {
		text, end, err := nextRecord(data, at)
		if text == nil && err == nil {
			break
		}
		if err != nil {
			errors.As(err, &f.Damage)
			break
		}
		t, err := parseTransaction(f.Schema, text)
		if err == nil {
			err = f.resolve(t)
		}
		if err != nil {
			if errors.Is(err, ErrSchema) {
				return fmt.Errorf("%s: record at offset %d: %w", f.Path, at, err)
			}
			f.Damage = &CorruptError{at, int64(len(data)), "a record that is no transaction (" + err.Error() + ")"}
			break
		}
		f.apply(t)
		at = end
		if f.base == 0 { // a compaction leaves one transaction
			f.base = end
		}
	}
	f.collect()
	return nil
}

// fits refuses another database, and a schema that is newer than ours.
func (f *File) fits(has *Schema) error {
	if has.Name != f.Schema.Name {
		return fmt.Errorf("%s is a database of the schema %s, not %s: name another file: %w", f.Path, has.Name,
			f.Schema.Name, ErrSchema)
	}
	for name, table := range has.Tables {
		ours := f.Schema.Tables[name]
		for column := range table.Columns {
			if ours == nil || !hasColumn(ours, column) {
				return fmt.Errorf("%s has version %s of the schema %s, with a column %s.%s that version %s doesn't "+
					"know: a newer ri wrote it: %w",
					f.Path, has.Version, has.Name, name, column, f.Schema.Version, ErrSchema)
			}
		}
	}
	return nil
}

func hasColumn(t *Table, name string) bool { _, ok := t.Columns[name]; return ok }

// Append writes a transaction and waits until it is on the disk. If that fails, the file is as it was.
func (f *File) Append(t *Transaction) error {
	text, err := t.json(f.Schema)
	if err != nil {
		return err
	}
	if err := f.write(appendRecord(nil, text)); err != nil {
		return err
	}
	f.apply(t)
	f.collect()
	return nil
}

// Commit is Append for whoever keeps the contents: they aren't kept here. A transaction that isn't durable is written,
// and may be lost if the machine fails.
func (f *File) Commit(t *Transaction, durable bool) error {
	text, err := t.json(f.Schema)
	if err != nil {
		return err
	}
	return f.writeRecord(appendRecord(nil, text), durable)
}

// Forget gives back the contents, which somebody else keeps from now on.
func (f *File) Forget() { f.Database = NewDatabase(f.Schema) }

// write appends to the file and waits until it is on the disk.
func (f *File) write(record []byte) error { return f.writeRecord(record, true) }

// writeRecord takes back what was written when not all could be.
func (f *File) writeRecord(record []byte, durable bool) error {
	if f.file == nil {
		return fmt.Errorf("%s was opened for reading: %w", f.Path, fs.ErrPermission)
	}
	var err error
	if durable && !f.unsynced {
		err = writeDurably(f.file, record, f.size)
	} else if _, err = f.file.WriteAt(record, f.size); err == nil && durable {
		err = f.file.Sync()
	}
	if err != nil {
		f.unsynced = true
		return errors.Join(fmt.Errorf("writing %s: %w", f.Path, err), f.file.Truncate(f.size))
	}
	f.size += int64(len(record))
	f.unsynced = !durable // durable writes wait for what was before, too
	return nil
}

// Compact writes the file anew, with one transaction in the place of all, as ovsdb-tool compact does.
func (f *File) Compact(comment string) (before, after int64, err error) {
	return f.CompactTo(f.everything(comment))
}

// Convert writes the file anew, with another schema and contents.
func (f *File) Convert(schema *Schema, all *Transaction) error {
	was := f.Schema
	f.Database = NewDatabase(schema)
	_, _, err := f.CompactTo(all)
	if err != nil {
		f.Database = NewDatabase(was)
	}
	return err
}

// CompactTo is Compact with contents that somebody else keeps.
func (f *File) CompactTo(all *Transaction) (before, after int64, err error) {
	text, err := all.json(f.Schema)
	if err != nil {
		return f.size, f.size, err
	}
	data := appendRecord(appendRecord(nil, f.Schema.compact()), text)
	dropCut(f.Path)
	temp, err := os.OpenFile(compacted(f.Path), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return f.size, f.size, err
	}
	defer os.Remove(temp.Name()) // once renamed, it isn't there
	if info, e := f.file.Stat(); e == nil {
		temp.Chmod(info.Mode().Perm())
	}
	if _, err = temp.Write(data); err == nil {
		err = temp.Sync()
	}
	if err == nil {
		err = os.Rename(temp.Name(), f.Path)
	}
	if err != nil {
		temp.Close()
		return f.size, f.size, fmt.Errorf("compacting %s, which is as it was: %w", f.Path, err)
	}
	f.file.Close()
	before, f.file, f.size, f.base = f.size, temp, int64(len(data)), int64(len(data))
	f.unsynced = false
	return before, f.size, syncFolder(f.Path)
}

// compacted is what a file is called while it is written anew. Who has the lock is the only one who does that, so one
// name will do, and what was left of one who was killed at it is found again.
func compacted(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
}

// dropCut takes away what is left of a compaction that was cut short. The caller has the lock.
func dropCut(path string) { _ = os.Remove(compacted(path)) }

// CompactIfLarge compacts a file that has grown far beyond what is in it.
func (f *File) CompactIfLarge(comment string) error {
	if f.size < compactFrom {
		return nil
	}
	text, err := f.everything(comment).json(f.Schema)
	if err != nil || f.size < compactFactor*int64(len(text)) {
		return err
	}
	_, _, err = f.Compact(comment)
	return err
}

// Grown tells whether the file has grown far beyond what it was after it was compacted last, so that whoever keeps its
// contents should compact it. It is told once for each doubling: a compaction that failed is not tried at each write.
func (f *File) Grown() bool {
	if f.size < compactFrom || f.size < compactFactor*f.base {
		return false
	}
	f.base = f.size / (compactFactor / 2)
	return true
}

// Size of the file in bytes.
func (f *File) Size() int64 { return f.size }

// Close lets the lock go.
func (f *File) Close() error {
	if f.file != nil {
		f.file.Close()
	}
	if f.lock != nil {
		return f.lock.release()
	}
	return nil
}

// syncFolder makes a new name in a folder last.
func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
