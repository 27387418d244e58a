package commands

import (
	"fmt"
	"os"
	"strings"

	"ri/instruments/looks"
	"ri/instruments/rows"
	"ri/record"
)

// RedactOptions says what else is taken out of a recording.
type RedactOptions struct {
	File        string // which must not be there
	Policy      string // file of rules
	KeyFile     string // of the tokens' key; "": one that is thrown away
	DenyNumbers bool
	EncryptTo   []string // keys, or files of keys, of who may read it
}

// RecordingRedact writes a recording once more, of which is kept what the policy keeps, too.
func RecordingRedact(out *rows.Output, choice looks.TargetChoice, opt RedactOptions) error {
	switch {
	case opt.File == "" || opt.File == "-":
		return rows.Usagef("ri recording redact writes into a file: name one that isn't there yet (-o FILE)")
	case opt.Policy == "" && !opt.DenyNumbers:
		return rows.Usagef("ri recording redact needs to be told what is kept: --policy FILE, --deny-numbers or both; an " +
			"empty policy ([]) keeps what is kept by default")
	}
	options, err := RecordOptions{Policy: opt.Policy, KeyFile: opt.KeyFile, DenyNumbers: opt.DenyNumbers,
		EncryptTo: opt.EncryptTo}.redaction()
	if err != nil {
		return err
	}
	r, err := openRecording(out, choice)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Sealed() && options.Recipients.None() {
		return rows.Usagef("%s is encrypted: name who may read what is made of it (--encrypt-to KEY)", choice.Recording)
	}
	var done record.Tightened
	if err := newFile(opt.File, func(file *os.File) error {
		done, err = record.Tighten(r, options, file)
		return refusedToRead(err)
	}); err != nil {
		return err
	}
	if n := len(done.Unknown); n > 0 {
		out.Log(fmt.Sprintf("note: nothing of %s is kept any more, since the recording hasn't their layouts: %s",
			rows.Plural(int64(n), "type"), strings.Join(done.Unknown[:min(n, 10)], ", ")))
	}
	if out.Format != rows.Table {
		return out.WriteOne(rows.Of("file", opt.File, "kept_bytes_before", done.Before.Kept,
			"kept_bytes", done.After.Kept, "denied_bytes", done.After.Denied, "tokens_before",
			done.Before.Tokens, "tokens", done.After.Tokens))
	}
	return out.WriteText(fmt.Sprintf("%s: %s are kept of %s, %d tokens\nnext: ri recording check %s\n", opt.File,
		rows.ShortBytes(done.After.Kept), rows.ShortBytes(done.Before.Kept), done.After.Tokens, opt.File))
}
