package change

import (
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ri/ovsdb"
	"ri/values"
)

//go:embed journal.ovsschema
var schemaText []byte

// Schema is the journal's. Its checksum has to be that of its text: see TestSchemaVersion.
func Schema() (*ovsdb.Schema, error) {
	s, err := ovsdb.ParseSchema(schemaText)
	if err != nil {
		return nil, err
	}
	return s, s.CheckChecksum()
}

// lockPatience is how long to wait for another ri that is in the middle of a transaction.
const lockPatience = 15 * time.Second

// DefaultJournal is the journal of this user: journal.db in the XDG state folder.
func DefaultJournal() (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" || !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place for the journal: %w; name a file (--journal FILE)", err)
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "ri", "journal.db"), nil
}

// State is how a transaction ended.
type State string

const (
	Begun      State = "begun" // the intent is written, the outcome is not
	Committed  State = "committed"
	RolledBack State = "rolled back"
	Unknown    State = "unknown" // ri ended before it wrote the outcome
)

// Entry is a transaction in the journal.
type Entry struct {
	Number      int64
	Date, Ended time.Time
	State       State
	Reason      string
	Plan        Plan // Comment, Changes, Collections, Undoes; its changes' Words hold the pointers on the path
	Who
}

// Who is who made a transaction, and of which process.
type Who struct {
	User, Host string
	Command    string // the command line
	Recipe     string
	Parameters map[string]string
	Label      string // what it is found again by, with others of the same
	PID        int
	Started    time.Time // the process
	Identity   string    // of the process: see attach.Process.Identity
	Executable string
	BuildID    string
}

// Journal is the file that transactions are written down in.
type Journal struct {
	file *ovsdb.File
}

// OpenJournal opens the journal for writing, and makes it if there is none. It holds the lock until Close, so that
// transactions follow each other.
func OpenJournal(path string) (*Journal, error) {
	schema, err := Schema()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, journalError(path, err)
	}
	f, err := ovsdb.Open(path, schema, lockPatience)
	if err != nil {
		return nil, journalError(path, err)
	}
	return &Journal{f}, nil
}

// ReadJournal reads the journal without its lock. One that isn't there is empty.
func ReadJournal(path string) (*Journal, error) {
	schema, err := Schema()
	if err != nil {
		return nil, err
	}
	f, err := ovsdb.Read(path, schema)
	if err != nil {
		return nil, journalError(path, err)
	}
	return &Journal{f}, nil
}

// journalError says what to do about a journal that can't be had. Without one nothing is changed.
func journalError(path string, err error) error {
	todo := "name another (--journal FILE)"
	switch {
	case errors.Is(err, ovsdb.ErrLocked):
		todo = "another ri, ovsdb-tool or ovsdb-server has it: try again when that is done, or " + todo
	case errors.Is(err, ovsdb.ErrCorrupt):
		todo = "move it away and keep it, or " + todo
	case errors.Is(err, fs.ErrPermission):
		todo = "see to it that ri may write there, or " + todo
	}
	return fmt.Errorf("the journal %s: %w; %s", path, err, todo)
}

// ProbeJournal tells whether a journal could be written, and makes nothing.
func ProbeJournal(path string) error {
	if _, err := ReadJournal(path); err != nil {
		return err
	}
	for at := path; ; at = filepath.Dir(at) { // the first that exists must be writable
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			if err := unix.Access(at, unix.W_OK); err != nil {
				return journalError(path, fmt.Errorf("%s: %w", at, err))
			}
			return nil
		}
	}
}

// Close lets the lock go.
func (j *Journal) Close() error { return j.file.Close() }

// Path of the file.
func (j *Journal) Path() string { return j.file.Path }

// Damage says what of the file could not be read, "" if all could.
func (j *Journal) Damage() string {
	switch d := j.file.Damage; {
	case d == nil:
		return ""
	case j.file.Aside != "":
		return fmt.Sprintf("the journal %s was damaged: %v; the last %d bytes were cut off, with transactions in "+
			"them, and are kept in %s", j.file.Path, d, j.file.Cut, j.file.Aside)
	case j.file.Cut > 0:
		return fmt.Sprintf("the journal %s was damaged: %v; the last %d bytes were cut off", j.file.Path, d, j.file.Cut)
	default:
		return fmt.Sprintf("the journal %s is damaged: %v; what comes after is not shown, and will be cut off at "+
			"the next write", j.file.Path, d)
	}
}

// Compact writes the journal anew, as one record. All transactions stay.
func (j *Journal) Compact() (before, after int64, err error) {
	return j.file.Compact("compacted by ri")
}

// Truncate forgets the transactions up to a number, those whose end isn't known too, and gives how many they were.
// Numbers go on from where they were.
func (j *Journal) Truncate(upTo int64) (int, error) {
	n := 0
	tx := ovsdb.NewTransaction(fmt.Sprintf("truncated by ri: transactions up to %d", upTo))
	for id, row := range j.file.Rows("Transaction") {
		if row["number"].Int() > upTo {
			continue
		}
		n++
		tx.Delete("Transaction", id)
		for _, change := range row["changes"].UUIDs() {
			tx.Delete("Change", change)
		}
	}
	if n == 0 {
		return 0, nil
	}
	if err := j.file.Append(tx); err != nil {
		return 0, err
	}
	if _, _, err := j.Compact(); err != nil {
		return n, fmt.Errorf("%d transactions were forgotten, but their records are in the file still: %w; once "+
			"there is room: ri log compact", n, err)
	}
	return n, nil
}

// Entries gives all transactions by number.
func (j *Journal) Entries() []*Entry {
	var out []*Entry
	for _, row := range j.file.Rows("Transaction") {
		out = append(out, j.entry(row))
	}
	sort.Slice(out, func(a, b int) bool { return out[a].Number < out[b].Number })
	return out
}

// Labelled are the transactions of a process that carry a label and hold: what was made, or may have been, and wasn't
// taken back. The last comes first.
func (j *Journal) Labelled(label, identity string) (out []*Entry) {
	undone := map[int64]bool{} // by a transaction that holds itself
	for _, e := range slices.Backward(j.Entries()) {
		if e.State == RolledBack || undone[e.Number] {
			continue
		}
		if e.Plan.Undoes > 0 && e.State == Committed {
			undone[e.Plan.Undoes] = true
		}
		if e.Label == label && e.Identity == identity {
			out = append(out, e)
		}
	}
	return out
}

// Meets tells whether two transactions changed the same place.
func (e *Entry) Meets(other *Entry) bool {
	return slices.ContainsFunc(e.Plan.Changes, func(a *Change) bool {
		return slices.ContainsFunc(other.Plan.Changes, func(b *Change) bool {
			return a.Addr < b.Addr+uint64(len(b.After)) && b.Addr < a.Addr+uint64(len(a.After))
		})
	})
}

// Entry finds a transaction by its number.
func (j *Journal) Entry(number int64) (*Entry, error) {
	var has []string
	for _, e := range j.Entries() {
		if e.Number == number {
			return e, nil
		}
		has = append(has, strconv.FormatInt(e.Number, 10))
	}
	if len(has) == 0 {
		return nil, fmt.Errorf("the journal %s has no transactions", j.file.Path)
	}
	return nil, fmt.Errorf("the journal %s has no transaction %d; it has %s to %s (ri log)", j.file.Path, number,
		has[0], has[len(has)-1])
}

func (j *Journal) entry(row ovsdb.Row) *Entry {
	e := &Entry{
		Number: row["number"].Int(), Date: time.UnixMilli(row["date"].Int()), State: State(row["state"].Text()),
		Reason: row["reason"].Text(),
		Plan: Plan{Comment: row["comment"].Text(), Collections: uint64(row["collections"].Int()),
			Undoes: row["undoes"].Int()},
		Who: Who{User: row["user"].Text(), Host: row["host"].Text(), Command: row["command"].Text(),
			Label:  row["label"].Text(),
			Recipe: row["recipe"].Text(), Parameters: row["parameters"].Strings(),
			PID: int(row["pid"].Int()), Started: time.UnixMilli(row["started"].Int()), Identity: row["identity"].Text(),
			Executable: row["executable"].Text(), BuildID: row["build_id"].Text()},
	}
	if ms := row["ended"].Int(); ms != 0 {
		e.Ended = time.UnixMilli(ms)
	}
	changes := j.file.Rows("Change")
	positions := map[*Change]int64{}
	for _, id := range row["changes"].UUIDs() {
		if c := readChange(changes[id]); c != nil {
			positions[c] = changes[id]["position"].Int()
			e.Plan.Changes = append(e.Plan.Changes, c)
		}
	}
	sort.Slice(e.Plan.Changes, func(a, b int) bool {
		return positions[e.Plan.Changes[a]] < positions[e.Plan.Changes[b]]
	})
	return e
}

func readChange(row ovsdb.Row) *Change {
	addr, err := strconv.ParseUint(row["address"].Text(), 0, 64)
	before, err2 := hex.DecodeString(row["before_bytes"].Text())
	after, err3 := hex.DecodeString(row["after_bytes"].Text())
	if err != nil || err2 != nil || err3 != nil { // somebody else wrote it
		return nil
	}
	c := &Change{Operation: Operation(row["operation"].Text()), Path: row["path"].Text(), Type: row["type"].Text(),
		Addr: addr, Before: before, After: after,
		BeforeText: row["before"].Text(), AfterText: row["after"].Text(), Overwritten: row["overwritten"].Text()}
	if text, err := hex.DecodeString(row["before_text"].Text()); err == nil && len(text) > 0 {
		c.Text = text
	}
	c.ByAddress, _ = firstOf(row["by_address"]).(bool)
	c.Pointers, _ = firstOf(row["pointer_words"]).(bool)
	pointers := row["pointers"].Strings()
	for _, at := range slices.Sorted(maps.Keys(pointers)) {
		addr, err := strconv.ParseUint(at, 0, 64)
		b, err2 := parseWord(pointers[at])
		if err == nil && err2 == nil {
			c.Words = append(c.Words, values.Word{Addr: addr, Bytes: b})
		}
	}
	return c
}

func firstOf(d ovsdb.Datum) any {
	if len(d.Keys) == 0 {
		return nil
	}
	return d.Keys[0]
}

// record is a transaction that has begun.
type record struct {
	journal *Journal
	id      ovsdb.UUID
	changes []ovsdb.UUID
	number  int64
}

// Types of changes that are none of memory.
const (
	ActionType = "action"
	FileType   = "file" // the path is the file's, before and after are its contents
)

func sizeText(b []byte) string { return fmt.Sprintf("%d bytes", len(b)) }

// begin writes a transaction's intent, and is back when it is on the disk.
func (j *Journal) begin(p *Plan, who Who) (*record, error) {
	r := &record{journal: j, id: ovsdb.NewUUID()}
	tx := ovsdb.NewTransaction("")
	singleton := ovsdb.NewUUID()
	for id, row := range j.file.Rows("Journal") {
		singleton, r.number = id, row["last"].Int()
	}
	for id, row := range j.file.Rows("Transaction") {
		r.number = max(r.number, row["number"].Int())
		if State(row["state"].Text()) == Begun { // we hold the lock, so who began it is no more
			tx.Put("Transaction", id, ovsdb.Row{"state": ovsdb.Scalar(string(Unknown)),
				"reason": ovsdb.Scalar("ri ended before it wrote the outcome")})
		}
	}
	r.number++
	tx.Put("Journal", singleton, ovsdb.Row{"last": ovsdb.Scalar(r.number)})
	for i, c := range p.Changes {
		id := ovsdb.NewUUID()
		r.changes = append(r.changes, id)
		tx.Put("Change", id, c.row(i))
	}
	row := ovsdb.Row{"number": ovsdb.Scalar(r.number), "date": ovsdb.Scalar(tx.Date.UnixMilli()),
		"state":       ovsdb.Scalar(string(Begun)),
		"collections": ovsdb.Scalar(int64(p.Collections)), "pid": ovsdb.Scalar(int64(who.PID)),
		"started": ovsdb.Scalar(who.Started.UnixMilli()),
		"changes": ovsdb.Set(r.changes...), "parameters": ovsdb.Map(cleanMap(who.Parameters))}
	for column, s := range map[string]string{"comment": p.Comment, "command": who.Command, "recipe": who.Recipe,
		"label": who.Label,
		"user":  who.User, "host": who.Host,
		"identity": who.Identity, "executable": who.Executable, "build_id": who.BuildID} {
		row[column] = ovsdb.Scalar(ovsdb.CleanString(s))
	}
	if p.Undoes > 0 {
		row["undoes"] = ovsdb.Scalar(p.Undoes)
	}
	for i, a := range p.Actions { // no memory: a change without an address
		id := ovsdb.NewUUID()
		made := &Change{Operation: Update, Path: a.Text, Type: ActionType}
		if a.File != "" {
			made = &Change{Operation: Update, Path: a.File, Type: FileType, Before: a.Before, After: a.After,
				BeforeText: sizeText(a.Before), AfterText: sizeText(a.After)}
		}
		action := made.row(len(p.Changes) + i)
		tx.Put("Change", id, action)
		r.changes = append(r.changes, id)
	}
	row["changes"] = ovsdb.Set(r.changes...)
	tx.Put("Transaction", r.id, row)
	tx.Comment = fmt.Sprintf("%d: %s: %s", r.number, p.Comment, who.Command)
	return r, j.file.Append(tx)
}

// wordText writes a word as a number, as addresses are read; other bytes in the order of memory.
func wordText(b []byte) string {
	if len(b) == 8 {
		return fmt.Sprintf("%#x", word(b))
	}
	return hex.EncodeToString(b)
}

func parseWord(s string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		w, err := strconv.ParseUint(digits, 16, 64)
		return wordBytes(w), err
	}
	return hex.DecodeString(s)
}

func cleanMap(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[ovsdb.CleanString(k)] = ovsdb.CleanString(v)
	}
	return out
}

func (c *Change) row(position int) ovsdb.Row {
	pointers := map[string]string{}
	for _, w := range c.Words {
		pointers[fmt.Sprintf("%#x", w.Addr)] = wordText(w.Bytes)
	}
	row := ovsdb.Row{"position": ovsdb.Scalar(int64(position)), "operation": ovsdb.Scalar(string(c.Operation)),
		"address":      ovsdb.Scalar(fmt.Sprintf("%#x", c.Addr)),
		"before_bytes": ovsdb.Scalar(hex.EncodeToString(c.Before)),
		"after_bytes":  ovsdb.Scalar(hex.EncodeToString(c.After)),
		"pointers":     ovsdb.Map(pointers), "by_address": ovsdb.Scalar(c.ByAddress),
		"pointer_words": ovsdb.Scalar(c.Pointers), "before_text": ovsdb.Scalar(hex.EncodeToString(c.Text))}
	for column, s := range map[string]string{"path": c.Path, "type": c.Type, "before": c.BeforeText,
		"after": c.AfterText} {
		row[column] = ovsdb.Scalar(ovsdb.CleanString(s))
	}
	return row
}

// end appends the outcome.
func (r *record) end(state State, reason string, p *Plan) error {
	tx := ovsdb.NewTransaction(strings.TrimSuffix(fmt.Sprintf("%d: %s: %s", r.number, state, reason), ": "))
	row := ovsdb.Row{"state": ovsdb.Scalar(string(state)), "reason": ovsdb.Scalar(ovsdb.CleanString(reason)),
		"ended": ovsdb.Scalar(tx.Date.UnixMilli())}
	if state == Committed {
		row["collections"] = ovsdb.Scalar(int64(p.Collections))
	}
	tx.Put("Transaction", r.id, row)
	for i, c := range p.Changes {
		change := ovsdb.Row{}
		if c.Overwritten != "" {
			change["overwritten"] = ovsdb.Scalar(ovsdb.CleanString(c.Overwritten))
		}
		if c.Memory != "" && state == Committed { // where its memory came to lie is known only now
			change["after_bytes"] = ovsdb.Scalar(hex.EncodeToString(c.After))
		}
		if len(change) > 0 {
			tx.Put("Change", r.changes[i], change)
		}
	}
	if err := r.journal.file.Append(tx); err != nil {
		return err
	}
	return r.journal.file.CompactIfLarge("compacted by ri")
}
