// Reads a JSON file with Go's parser: names and values, in base64, one pair a line.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
)

func flat(out *bufio.Writer, prefix string, value any) {
	switch value := value.(type) {
	case string:
		code := base64.StdEncoding.EncodeToString
		fmt.Fprintln(out, code([]byte(prefix)), code([]byte(value)))
	case map[string]any:
		for name, below := range value {
			if prefix != "" {
				name = prefix + "/" + name
			}
			flat(out, name, below)
		}
	default:
		panic(fmt.Sprintf("%q is read as %T", prefix, value))
	}
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var read map[string]any
	if err := json.Unmarshal(text, &read); err != nil {
		panic(err)
	}
	out := bufio.NewWriter(os.Stdout)
	flat(out, "", read)
	out.Flush()
}
