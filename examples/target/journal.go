package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// Journal is a file of records, one a line: the crc32 of the text in eight
// hexadecimal digits, a space, the record as JSON. Records are only added; a
// line that was not written to its end is cut off at the next start.
type Journal struct {
	mu      sync.Mutex
	path    string
	file    *os.File
	records int64 // written since the start
	synced  bool
}

// readJournal calls visit with the text of each record. It returns the length
// of the file's sound part, and what is wrong with the rest.
func readJournal(path string, visit func(text []byte) error) (sound int64, damage error, err error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	defer file.Close()
	reader := bufio.NewReaderSize(file, 1<<16)
	for {
		line, err := reader.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return sound, nil, nil
		}
		if err == io.EOF {
			return sound, errors.New("the last line is not complete"), nil
		}
		if err != nil {
			return sound, nil, err
		}
		digits, text, found := bytes.Cut(line[:len(line)-1], []byte(" "))
		want, err := strconv.ParseUint(string(digits), 16, 32)
		if !found || err != nil || uint32(want) != crc32.ChecksumIEEE(text) {
			return sound, errors.New("a line's checksum doesn't match"), nil
		}
		if err := visit(text); err != nil {
			return sound, nil, err
		}
		sound += int64(len(line))
	}
}

// openJournal opens a journal to add records after its sound part.
func openJournal(path string, sound int64) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = file.Truncate(sound)
	if err == nil {
		_, err = file.Seek(sound, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Journal{path: path, file: file, synced: true}, nil
}

func journalLine(record interface{}) ([]byte, error) {
	text, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	return []byte(fmt.Sprintf("%08x %s\n", crc32.ChecksumIEEE(text), text)), nil
}

// append adds a record, which outlives the process at once and the machine
// after the next sync.
func (j *Journal) append(record interface{}) error {
	line, err := journalLine(record)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	start, err := j.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(line); err != nil {
		// Leave no half line in the middle of the file.
		j.file.Truncate(start)
		j.file.Seek(start, io.SeekStart)
		return err
	}
	j.records++
	j.synced = false
	return nil
}

func (j *Journal) sync() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.synced {
		return nil
	}
	j.synced = true
	return j.file.Sync()
}

func (j *Journal) close() error {
	if err := j.sync(); err != nil {
		return err
	}
	return j.file.Close()
}

// rewriteJournal puts a journal of only these records in place of the one
// there. After a crash there is either the one or the other.
func rewriteJournal(path string, records []interface{}) error {
	var text bytes.Buffer
	for _, r := range records {
		line, err := journalLine(r)
		if err != nil {
			return err
		}
		text.Write(line)
	}
	return replaceFile(path, text.Bytes())
}

func replaceFile(path string, contents []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails once it is renamed
	_, err = file.Write(contents)
	if err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// claimData makes the directory ready for a store of this geometry, or says
// why it can't be: what was not changed since the start is not written out but
// made again from the seed.
func claimData(c *Config) error {
	if err := os.MkdirAll(c.data, 0o755); err != nil {
		return err
	}
	type geometry struct {
		Role      string `json:"role"`
		Seed      uint64 `json:"seed"`
		Objects   int    `json:"objects"`
		Services  int    `json:"services"`
		Devices   int    `json:"devices"`
		BlockSize int    `json:"block_size"`
		Units     int    `json:"units"`
	}
	g := geometry{c.role, c.seed, c.objects, c.services, c.devices, c.blockSize, c.units}
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	path := filepath.Join(c.data, "geometry.json")
	old, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return replaceFile(path, append(text, '\n'))
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(bytes.TrimSpace(old), text) {
		return fmt.Errorf("%s was made for another store: %s, the flags say %s", c.data, bytes.TrimSpace(old), text)
	}
	return nil
}

// reportDamage tells the log what a journal had to lose.
func reportDamage(path string, damage error) {
	if damage != nil {
		log.Printf("%s: %v; what follows is dropped", path, damage)
	}
}
