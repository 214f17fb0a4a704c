# pmk: String:TODO -> String:DONE
def run(data):
    return data
