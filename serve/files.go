package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"ri/serve/request"
)

// placed is what lay at a path that a command may make.
type placed struct {
	path  string // at the asker's
	inode uint64 // of what stands for what was there, 0: nothing
}

// place puts what the request names below root. All of it belongs to who does the request.
func (o *run) place(root string) ([]placed, error) {
	var made []placed
	owner, group := -1, -1
	if c := o.session.caller.credential; c != nil {
		owner, group = int(c.Uid), int(c.Gid)
	}
	folder := func(path string) error {
		for _, at := range parents(root, path) {
			if err := os.Mkdir(at, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			if err := os.Lchown(at, owner, group); owner >= 0 && err != nil {
				return err
			}
		}
		return nil
	}
	if err := folder(o.asked.At(root)); err != nil {
		return nil, fmt.Errorf("the agent's folder: %w", err)
	}
	for _, f := range o.asked.Files {
		if !filepath.IsAbs(f.Path) || filepath.Clean(f.Path) != f.Path {
			return nil, fmt.Errorf("the path %q is not absolute: %w", f.Path, request.ErrMalformed)
		}
		if f.Kind == request.IsNowhere {
			continue
		}
		at := filepath.Join(root, f.Path)
		within := filepath.Dir(at)
		if f.Kind == request.IsFolder {
			within = at
		}
		if err := folder(within); err != nil {
			return nil, fmt.Errorf("the agent's folder: %w", err)
		}
		if f.Kind == request.IsFile {
			data := []byte(f.Data)
			if f.Sent {
				data = o.files[f.Path]
			}
			if err := os.WriteFile(at, data, 0o600); err != nil {
				return nil, fmt.Errorf("the agent's folder: %w", err)
			}
			if err := os.Lchown(at, owner, group); owner >= 0 && err != nil {
				return nil, fmt.Errorf("the agent's folder: %w", err)
			}
		}
		if f.Out {
			made = append(made, placed{f.Path, inode(at)})
		}
	}
	o.files = nil
	return made, nil
}

// parents are a folder and those above it up to root, the uppermost first.
func parents(root, path string) []string {
	var all []string
	for at := path; len(at) >= len(root); at = filepath.Dir(at) {
		all = append([]string{at}, all...)
	}
	return all
}

func inode(path string) uint64 {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

// bring sends what the command made.
func (o *run) bring(ctx context.Context, root string, made []placed) error {
	for _, p := range made {
		err := filepath.WalkDir(filepath.Join(root, p.path), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			there := path[len(root):]
			switch {
			case d.IsDir() && !(there == p.path && inode(path) == p.inode):
				return o.send(ctx, request.Made{Path: there, Kind: request.IsFolder, Mode: 0o700})
			case d.Type().IsRegular() && !(there == p.path && inode(path) == p.inode):
				return o.bringFile(ctx, path, there)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s could not be brought to you: %w", p.path, err)
		}
	}
	return nil
}

// bringFile sends a file: of holes, only that they are there.
func (o *run) bringFile(ctx context.Context, path, there string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	made := request.Made{Path: there, Kind: request.IsFile, Size: info.Size(), Mode: uint32(info.Mode().Perm())}
	buf := make([]byte, request.Piece)
	for at := int64(0); at < info.Size(); {
		if data, err := f.Seek(at, unix.SEEK_DATA); err == nil {
			at = data
		} else if errors.Is(err, unix.ENXIO) {
			break
		}
		n, err := f.ReadAt(buf, at)
		if n == 0 && err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			break
		}
		piece := made
		piece.At, piece.Data = at, buf[:n]
		if err := o.send(ctx, piece); err != nil {
			return err
		}
		at += int64(n)
	}
	made.Last, made.At = true, info.Size()
	return o.send(ctx, made)
}

func (o *run) send(ctx context.Context, m request.Made) error {
	_, err := o.session.peer.Call(ctx, request.File, o.id, m)
	o.sent.Add(int64(len(m.Data)))
	return err
}
