// Reads its configuration from seedcar's volume and takes up each change.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"time"
)

// load reads all files of one generation, and never of two mixed.
func load(generation string) (map[string]string, error) {
	values := map[string]string{}
	root := os.DirFS(generation)
	err := fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path == "..manifest.json" {
			return err
		}
		value, err := fs.ReadFile(root, path)
		values[path] = string(value)
		return err
	})
	return values, err
}

func main() {
	dir := os.Getenv("SEEDCAR_DIR")
	if dir == "" {
		dir = "/seedcar/live"
	}
	for known := ""; ; time.Sleep(time.Second) {
		// Another name with each change.
		newest, err := os.Readlink(filepath.Join(dir, "..data"))
		if err != nil {
			log.Fatal(err)
		}
		if newest == known {
			continue
		}
		config, err := load(filepath.Join(dir, newest))
		if errors.Is(err, fs.ErrNotExist) {
			continue // replaced while it was read: there is a newer one
		}
		if err != nil {
			log.Fatal(err)
		}
		known = newest
		fmt.Println("greeting:", config["greeting"])
	}
}
