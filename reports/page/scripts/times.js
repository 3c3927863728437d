// Times in the reader's time zone. The file has them in UTC, which stays in the title, and where no script runs.

function localTime(date) {
  const two = (value) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(date);
  const zone = parts.find((part) => part.type === "timeZoneName").value;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())} ${zone}`;
}

for (const time of document.querySelectorAll("time")) time.textContent = localTime(new Date(time.dateTime));
