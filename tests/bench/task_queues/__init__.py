"""Task queues and workflow engines beside the line: a task of five stages, one worker, CPU of every process counted."""
